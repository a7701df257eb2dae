//! An S3 server over a folder, for tests: `s3_server FOLDER HOST:PORT`. It prints where it listens and ends when its stdin
//! does, so that it never outlives the test that started it. With AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set, it takes
//! requests signed with them only.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: s3_server FOLDER HOST:PORT".into());
    };
    let service = service(&folder)?;
    let listener = TcpListener::bind(address).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let (mut stdin, mut nowhere) = (tokio::io::stdin(), tokio::io::sink());
    tokio::select! {
        served = serve(listener, service) => served,
        _ = tokio::io::copy(&mut stdin, &mut nowhere) => Ok(()),
    }
}

fn service(folder: &str) -> Result<S3Service, Box<dyn Error>> {
    let files = FileSystem::new(folder).map_err(|error| format!("{folder}: {error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    let variable = |name| std::env::var(name).ok();
    if let (Some(key), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        builder.set_auth(SimpleAuth::from_single(key, secret));
    }
    Ok(builder.build())
}

async fn serve(listener: TcpListener, service: S3Service) -> Result<(), Box<dyn Error>> {
    // The server below looks at conditions first and writes then: two requests at once would both be met.
    let conditional = Arc::new(Mutex::new(()));
    loop {
        let (socket, _) = listener.accept().await?;
        let (service, conditional) = (service.clone(), Arc::clone(&conditional));
        let service = service_fn(move |request: Request<Incoming>| {
            let (service, conditional) = (service.clone(), Arc::clone(&conditional));
            async move {
                let has = |name: &str| request.headers().contains_key(name);
                let _alone = match has("if-match") || has("if-none-match") {
                    true => Some(conditional.lock().await),
                    false => None,
                };
                Service::call(&service, request).await
            }
        });
        tokio::spawn(async move {
            // A client that hangs up is no failure of the server's.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
