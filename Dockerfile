# syntax=docker/dockerfile:1

# One image, one binary: scheduler, executors and the command line are `nightjar` with different arguments.
#
#   docker build -t nightjar .
#   docker run --rm nightjar sql -c 'SELECT 1'

FROM rust:1.94-trixie AS build
WORKDIR /nightjar
COPY . .
# What was compiled stays in caches between builds, so the binary is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/nightjar/target,sharing=locked \
    cargo build --release --locked -p nightjar-cli \
    && cp target/release/nightjar /usr/local/bin/nightjar

# The same Debian as above: the binary is linked with its C library.
FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/nightjar --create-home nightjar
COPY --from=build /usr/local/bin/nightjar /usr/local/bin/nightjar
# Its home is the one place that it writes to: catalog, caches, shuffle files, history. A volume that is new takes its owner over.
USER nightjar
WORKDIR /var/lib/nightjar
ENTRYPOINT ["nightjar"]
