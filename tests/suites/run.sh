#!/bin/sh
# Runs DataFusion's own sqllogictest files through a session of Nightjar: see README.md beside it.
#
# ARROW_TESTING and PARQUET_TESTING are checkouts of apache/arrow-testing and apache/parquet-testing, if you have them;
# NIGHTJAR_SUITES_FILES=joins,spark/math runs only the files whose names begin so.
set -eu

version=55.2.0
digest=b270cea4d8c2b2c42773e60164204386fb97d7936736e5f126ac751b86d7dabe
# The commits of the data that DataFusion's release was tested with, or later ones: files are only ever added.
arrow_testing=9cfebfef8982fb8612e0a2c59059752bd32321a3
parquet_testing=1a2a75127be06fc0123f03ebd36c966f7beda27d

root=$(cd "$(dirname "$0")/../.." && pwd)
place=$root/target/suites
packages=${CARGO_HOME:-$HOME/.cargo}/registry/cache
mkdir -p "$place"

# Cargo downloads the package; it is read, and never built.
crate() {
    ls "$packages"/*/"$1-$version.crate" 2>/dev/null | head -n 1
}
if [ -z "$(crate datafusion-sqllogictest)" ]; then
    mkdir -p "$place/fetch/src"
    : > "$place/fetch/src/lib.rs"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\ndatafusion-sqllogictest = "=%s"\n[workspace]\n' \
        "$version" > "$place/fetch/Cargo.toml"
    cargo fetch --manifest-path "$place/fetch/Cargo.toml"
fi
echo "$digest  $(crate datafusion-sqllogictest)" | sha256sum --check --quiet

unpack() {
    rm -rf "$place/$2"
    mkdir -p "$place/$2"
    tar -xzf "$(crate "$1")" -C "$place/$2" --strip-components 1
}
unpack datafusion-sqllogictest datafusion/sqllogictest
unpack datafusion-datasource-arrow datafusion/datasource-arrow

# The data of other projects that the files read.
data() {
    if [ -n "$3" ]; then
        ln -sfn "$(cd "$3" && pwd)" "$place/$2"
    elif [ ! -e "$place/$2/data" ]; then
        git init --quiet "$place/$2"
        git -C "$place/$2" fetch --quiet --depth 1 "https://github.com/apache/$1" "$4"
        git -C "$place/$2" checkout --quiet FETCH_HEAD
    fi
}
data arrow-testing testing "${ARROW_TESTING:-}" $arrow_testing
data parquet-testing parquet-testing "${PARQUET_TESTING:-}" $parquet_testing

cd "$root"
NIGHTJAR_SUITES=$place/datafusion/sqllogictest \
    cargo test --workspace --test suites -- --include-ignored --nocapture
