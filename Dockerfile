# syntax=docker/dockerfile:1

# The compiler's image brings gcc and the headers of the C library, which the zstd and ring crates need. The allocator's is
# built with make.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package headgate --bin headgate \
    && mkdir -p /image/data \
    && cp target/release/headgate /image/headgate \
    && install -m 0644 config/headgate.toml /image/headgate.toml

# glibc, libgcc and nothing to log in to. The numbers of the user below are this image's `nonroot`.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /image/headgate /usr/local/bin/headgate
# By way of the build, which makes it readable: a checkout with umask 077 has it for its owner alone, which is root in the image.
COPY --from=build /image/headgate.toml /etc/headgate/headgate.toml

# The folders of the configuration are relative: data/spool, data/events, data/dead-letters.
WORKDIR /var/lib/headgate
COPY --from=build --chown=65532:65532 /image/data data
VOLUME /var/lib/headgate/data

# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532

# Every key of the configuration can be set like this. The admin listener stays on the loopback address of the container;
# HEADGATE_ADMIN__LISTEN=0.0.0.0:8081 opens it.
ENV HEADGATE_LOG__FORMAT=json

EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s \
    CMD ["/usr/local/bin/headgate", "health", "--config", "/etc/headgate/headgate.toml"]
ENTRYPOINT ["/usr/local/bin/headgate"]
CMD ["serve", "--config", "/etc/headgate/headgate.toml"]
