# tagcast as an image, in two forms: one executable (the default), or Bun with the sources.
#
#   docker build -t tagcast .                            docker build -t tagcast --target source .
#   docker run --read-only -p 8080:8080 -e TAGCAST_ADMIN_TOKEN=... tagcast
#
# It runs as a user without rights, writes no file unless told to, and refuses to listen beyond loopback without a
# credential. docs/edge.md and docs/deploy.md say more.
ARG BUN_IMAGE=docker.io/oven/bun:1.4.5-slim
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${BUN_IMAGE} AS packages
WORKDIR /opt/tagcast
COPY package.json bun.lock bunfig.toml tsconfig.json ./
RUN ["bun", "install", "--frozen-lockfile", "--production", "--no-summary"]
COPY examples/browser ./examples/browser
COPY src ./src

FROM packages AS build
ARG TAGCAST_COMMIT=
ARG TAGCAST_COMMIT_DATE=
RUN ["bun", "src/build.ts", "host", "--out", "/out"]

FROM packages AS source
ENV TAGCAST_HOST=0.0.0.0 TAGCAST_LOG_FORMAT=json
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["bun", "src/main.ts", "health"]
ENTRYPOINT ["bun", "src/main.ts"]
CMD ["serve"]

FROM ${BASE_IMAGE} AS executable
COPY --from=build /out/tagcast-linux-* /usr/local/bin/tagcast
ENV TAGCAST_HOST=0.0.0.0 TAGCAST_LOG_FORMAT=json
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/usr/local/bin/tagcast", "health"]
ENTRYPOINT ["/usr/local/bin/tagcast"]
CMD ["serve"]
