//! A store whose errors say which store it is and what to check.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use sha2::{Digest as _, Sha256};

use super::explain::explain;
use super::place::{Kind, Place};

/// A store with its name.
pub(super) struct Named {
    inner: Arc<dyn ObjectStore>,
    place: Place,
    /// Added to the time of every object, less than a millisecond and another for each store: DataFusion keeps what it has read of a
    /// file by path, length and time, and two buckets may hold files that agree in all three.
    mark: Duration,
}

impl Named {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, place: Place) -> Self {
        let digest = Sha256::digest(place.to_string().as_bytes());
        let number = digest.iter().take(4).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self { inner, place, mark: Duration::from_nanos(number % 1_000_000) }
    }

    fn explain(&self, path: &Path) -> impl FnOnce(Error) -> Error {
        move |error| explain(&self.place, Some(path), error)
    }

    fn marked(&self, mut meta: ObjectMeta) -> ObjectMeta {
        meta.last_modified += self.mark;
        meta
    }

    fn listed(&self, prefix: Option<&Path>, list: BoxStream<'static, Result<ObjectMeta>>) -> List {
        let (place, prefix, mark) = (self.place.clone(), prefix.cloned(), self.mark);
        if place.kind() == Kind::Http {
            // Few servers list folders. Whoever asks has looked for the file before.
            let path = prefix.unwrap_or_default();
            let source = "no listing".into();
            let missing = Error::NotFound { path: path.to_string(), source };
            return futures::stream::iter([Err(explain(&place, Some(&path), missing))]).boxed();
        }
        list.map(move |meta| match meta {
            Ok(mut meta) => {
                meta.last_modified += mark;
                Ok(meta)
            }
            Err(error) => Err(explain(&place, prefix.as_ref(), error)),
        })
        .boxed()
    }
}

type List = BoxStream<'static, Result<ObjectMeta>>;

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStore({})", self.place)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Named {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(at, payload, options).await.map_err(self.explain(at))
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(at, options).await.map_err(self.explain(at))?;
        Ok(Box::new(Upload { inner, place: self.place.clone(), path: at.clone() }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.inner.get_opts(at, options).await.map_err(self.explain(at))?;
        let payload = match found.payload {
            GetResultPayload::Stream(bytes) => {
                let (place, path) = (self.place.clone(), at.clone());
                let bytes = bytes.map_err(move |error| explain(&place, Some(&path), error));
                GetResultPayload::Stream(bytes.boxed())
            }
            file @ GetResultPayload::File(..) => file,
        };
        Ok(GetResult { payload, meta: self.marked(found.meta), ..found })
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(at, ranges).await.map_err(self.explain(at))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let place = self.place.clone();
        self.inner.delete_stream(locations).map_err(move |error| explain(&place, None, error)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> List {
        self.listed(prefix, self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> List {
        self.listed(prefix, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let found = self.inner.list_with_delimiter(prefix).await;
        let mut found = found.map_err(|error| explain(&self.place, prefix, error))?;
        found.objects.iter_mut().for_each(|meta| meta.last_modified += self.mark);
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await.map_err(self.explain(from))
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await.map_err(self.explain(from))
    }
}

/// An upload in parts, with the store's name.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    place: Place,
    path: Path,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (place, path) = (self.place.clone(), self.path.clone());
        let part = self.inner.put_part(data);
        part.map(move |done| done.map_err(|error| explain(&place, Some(&path), error))).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await;
        done.map_err(|error| explain(&self.place, Some(&self.path), error))
    }

    async fn abort(&mut self) -> Result<()> {
        let done = self.inner.abort().await;
        done.map_err(|error| explain(&self.place, Some(&self.path), error))
    }
}
