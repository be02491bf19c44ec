# A static flowscope in an empty image, with a sample capture:
#
#   docker build -t flowscope .
#   docker run --rm flowscope replay --to stdout /samples/dns.pcap
#
# BUILDER is any image with Go 1.26 and certificate authorities. VERSION is what
# `flowscope version` says, since the build sees no git repository:
#
#   docker build --build-arg VERSION=$(git describe --tags --always --dirty) -t flowscope .
#
# The same sources, VERSION and BUILDER give the same program.
ARG BUILDER=golang:1.26-alpine
FROM ${BUILDER} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X flowscope/cmd.version=${VERSION}" -o /out/flowscope ./cmd/flowscope
# Whoever the sensor becomes (security.user) makes its store there.
RUN mkdir -p /out/root/data && chmod 1777 /out/root/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/flowscope /flowscope
COPY --from=build /out/root/ /
COPY integration/testdata/dns.pcap /samples/dns.pcap
# The working folder is also where the embedded store puts its files.
WORKDIR /data
ENV TMPDIR=/data
ENTRYPOINT ["/flowscope"]
