# syntax=docker/dockerfile:1
# check=experimental=all;error=true

# build runs on the builder's own platform, so that nothing is emulated.
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY Makefile ./
COPY cmd cmd
COPY pkg pkg
ARG TARGETOS
ARG TARGETARCH
# VERSION and COMMIT come from outside: there is no git here.
ARG VERSION=dev
ARG COMMIT=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build-cache \
    GOCACHE=/go/build-cache GOOS="$TARGETOS" GOARCH="$TARGETARCH" make build VERSION="$VERSION" COMMIT="$COMMIT"

# docs/releasing.md says how to pin the base images by digest.

FROM gcr.io/distroless/static-debian13:nonroot
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="drainer" \
      org.opencontainers.image.description="Drains annotated Kubernetes nodes as fast as their PodDisruptionBudgets allow" \
      org.opencontainers.image.url="https://github.com/drainer-dev/drainer" \
      org.opencontainers.image.source="https://github.com/drainer-dev/drainer" \
      org.opencontainers.image.documentation="https://github.com/drainer-dev/drainer/blob/main/docs/install.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
COPY LICENSE /licenses/LICENSE
COPY --from=build /src/bin/drainer /drainer
# A number, because kubelet cannot tell from a name that it is not root.
USER 65532:65532
EXPOSE 8080/tcp 8081/tcp
ENTRYPOINT ["/drainer"]
