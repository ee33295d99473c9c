# One recipe for all images: `make images`, or `podman build --build-arg SERVICE=tracker .`
# SERVICE is orchestrator, safety, generation, tracker, gateway, generation-embedded with the small
# language model, or cli for the command. To build the same bytes next year, too, name PYTHON by its
# digest; all else is pinned by the locks.
ARG PYTHON=docker.io/library/python:3.11-slim
ARG SERVICE
ARG VERSION=0.1.0

# What builds need of Debian; no image holds it.
FROM ${PYTHON} AS tools
# hadolint ignore=DL3008,DL3009 # the Debian below has one version of each
RUN apt-get update && apt-get install --yes --no-install-recommends binutils libgomp1

FROM tools AS dependencies
ARG SERVICE
COPY requirements/${SERVICE}.lock /tmp/requirements.lock
COPY deploy/image/slim.py /tmp/slim.py
# Wheels only: nothing is compiled, so no compiler must be there. Bytecode is made now, because the
# root file system is read-only later, and without time stamps, so that two builds are the same.
RUN python -m venv --without-pip /opt/stellwerk && \
    python -m pip --python /opt/stellwerk/bin/python install --no-cache-dir --no-compile \
      --require-hashes --only-binary :all: --requirement /tmp/requirements.lock && \
    python /tmp/slim.py /opt/stellwerk && \
    python -m compileall -q --invalidation-mode unchecked-hash /opt/stellwerk/lib

# A service needs less than half of what a Python image brings; all images share this layer.
FROM ${PYTHON} AS base
COPY deploy/image/base.py /tmp/base.py
RUN install -d -o 10001 -g 10001 /data && \
    python /tmp/base.py && rm /tmp/base.py && \
    python -c 'import bz2, ctypes, hashlib, lzma, readline, sqlite3, ssl, uuid, zlib, zoneinfo' && \
    python -m compileall -q --invalidation-mode unchecked-hash \
      "$(python -c 'import os; print(os.path.dirname(os.__file__))')"

FROM scratch AS runtime
ARG VERSION
# hadolint ignore=DL3067 # what is not needed is gone, and only a copy is without it
COPY --from=base / /
ENV PATH=/opt/stellwerk/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
    PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# The code asks for its version as that of a package.
RUN install -d "stellwerk-${VERSION}.dist-info" && \
    printf 'Metadata-Version: 2.1\nName: stellwerk\nVersion: %s\n' "${VERSION}" \
      > "stellwerk-${VERSION}.dist-info/METADATA"
# What changes seldom comes first: a new version of the code is a layer of a few megabytes.
COPY --from=dependencies /opt/stellwerk /opt/stellwerk
COPY LICENSE NOTICE ./
COPY servicekit servicekit
COPY protos/gen/stellwerk stellwerk

FROM runtime AS orchestrator
COPY orchestrator orchestrator
COPY stellwerk_client stellwerk_client
COPY configs configs
ENV ORCHESTRATOR_LISTEN_ADDRESS=0.0.0.0:50051 \
    ORCHESTRATOR_SPOOL_DIR=/data/spool \
    ORCHESTRATOR_IMPORTED_CONFIGS_DIR=/data/imported-configs
EXPOSE 50051
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s \
    CMD ["python", "-m", "servicekit.probe", "127.0.0.1:50051"]
ENTRYPOINT ["python", "-m", "orchestrator"]

FROM runtime AS safety
COPY safety_service safety_service
ENV SAFETY_LISTEN_ADDRESS=0.0.0.0:50052
EXPOSE 50052
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s \
    CMD ["python", "-m", "servicekit.probe", "127.0.0.1:50052"]
ENTRYPOINT ["python", "-m", "safety_service"]

FROM runtime AS generation
COPY generation_service generation_service
COPY configs/models.json configs/node_classes.json configs/
ENV GENERATION_LISTEN_ADDRESS=0.0.0.0:50053 \
    GENERATION_DATA_DIR=/data
EXPOSE 50053
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s \
    CMD ["python", "-m", "servicekit.probe", "127.0.0.1:50053"]
ENTRYPOINT ["python", "-m", "generation_service"]

# llama.cpp computes with OpenMP, which no wheel brings along.
FROM generation AS generation-embedded
COPY --from=tools /usr/lib/*-linux-gnu/libgomp.so.1 /usr/local/lib/
RUN /usr/sbin/ldconfig

FROM runtime AS tracker
COPY tracker_service tracker_service
ENV TRACKER_LISTEN_ADDRESS=0.0.0.0:50054 \
    TRACKER_DATA_DIR=/data
EXPOSE 50054
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s \
    CMD ["python", "-m", "servicekit.probe", "127.0.0.1:50054"]
ENTRYPOINT ["python", "-m", "tracker_service"]

FROM runtime AS gateway
COPY gateway gateway
# hadolint ignore=DL3064 # the path of a secret, not the secret
ENV GATEWAY_LISTEN_ADDRESS=0.0.0.0:8080 \
    GATEWAY_COOKIE_SECRET_FILE=/data/gateway.secret
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s \
    CMD ["python", "-m", "servicekit.probe", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["python", "-m", "gateway"]

# For admins and tools inside a cluster; of the services it uses only what works offline.
FROM runtime AS cli
COPY generation_service generation_service
COPY orchestrator orchestrator
COPY safety_service safety_service
COPY stellwerk_cli stellwerk_cli
COPY stellwerk_client stellwerk_client
COPY configs configs
RUN printf '#!/bin/sh\nexec python -m stellwerk_cli "$@"\n' > /usr/local/bin/stellwerk && \
    chmod 755 /usr/local/bin/stellwerk
WORKDIR /data
ENTRYPOINT ["stellwerk"]

FROM ${SERVICE} AS image
ARG SERVICE
ARG VERSION
ARG REVISION=unknown
LABEL org.opencontainers.image.title="stellwerk-${SERVICE}" \
      org.opencontainers.image.description="Stellwerk's ${SERVICE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN python -m compileall -q --invalidation-mode unchecked-hash /app
USER 10001:10001
