# Both programs: docker build --target payment-consumer . or --target order-producer .
#
# Built for linux/amd64 and linux/arm64 alike: the compiler runs on the builder's own platform and
# compiles for the other one.
FROM --platform=$BUILDPLATFORM golang:1.26.8-alpine AS build
WORKDIR /src
# Modules first: they change less often than the code, so that their layer is kept.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd cmd
COPY internal internal
COPY migrations migrations
ARG TARGETOS TARGETARCH
# No C library, so that the programs run in an image that holds none.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -o /out/ ./cmd/payment-consumer ./cmd/order-producer
# Whoever passes an image on passes on code of others, who want their licences with it.
COPY LICENSE LICENSE
COPY deploy/notices.sh deploy/notices.sh
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    mkdir /licences && cp LICENSE /licences/ && \
    GOOS=$TARGETOS GOARCH=$TARGETARCH \
    sh deploy/notices.sh ./cmd/payment-consumer ./cmd/order-producer >/licences/NOTICES

# No shell, no package manager, and a user without rights (65532). By digest, of the index of all
# platforms, because this image has no version tags: "nonroot" moves.
FROM gcr.io/distroless/static-debian13:nonroot@sha256:e2e927ec666bae08560abb3c55d0659eceabb657f56b6782ab500a9fc7f555e3 AS base
# By number, because Kubernetes cannot see whether a name is root.
USER 65532:65532
COPY --from=build /licences /usr/share/doc/payment

FROM base AS order-producer
COPY --from=build /out/order-producer /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/order-producer"]

FROM base AS payment-consumer
COPY --from=build /out/payment-consumer /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/payment-consumer"]
