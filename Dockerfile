# Antiphon as an image: the application belongs to root, the process does not.
#
# It listens on every address of the container, which Antiphon refuses unless it is told how that is safe: give it
# ANTIPHON_HTTP__TRUSTED_PROXIES (a proxy with TLS in front, or a port published on loopback as in deploy/compose.yaml),
# or ANTIPHON_HTTP__TLS=self, or a certificate. Data lies in /var/lib/antiphon.

ARG PYTHON_IMAGE=python:3.13-slim-bookworm
ARG NODE_IMAGE=node:22-bookworm-slim

# --- the front-end packages ---
FROM ${NODE_IMAGE} AS assets
WORKDIR /assets
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev

# --- the place tables ---
FROM ${PYTHON_IMAGE} AS places
WORKDIR /places
COPY requirements/places.lock ./
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --target geonames -r places.lock
COPY src/antiphon/tools/builtin/place_tables.py ./
RUN python3 place_tables.py geonames data

# --- the environment ---
FROM ${PYTHON_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check uv==0.13.8
WORKDIR /build
COPY requirements/run.lock requirements/
RUN uv venv /opt/antiphon \
    && uv pip install --python /opt/antiphon/bin/python --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
COPY --from=places /places/data src/antiphon/tools/builtin/data
COPY --from=assets /assets/node_modules node_modules
RUN PYTHONPATH=src /opt/antiphon/bin/python -m antiphon.console.assets \
    && PYTHONPATH=src /opt/antiphon/bin/python -m antiphon.speech.protos.make \
    && uv pip install --python /opt/antiphon/bin/python --no-deps --no-build-isolation .

# --- what runs ---
FROM ${PYTHON_IMAGE}
ENV PATH=/opt/antiphon/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ANTIPHON_DATA_DIR=/var/lib/antiphon \
    ANTIPHON_HTTP__HOST=0.0.0.0
COPY --from=build /opt/antiphon /opt/antiphon
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/antiphon
WORKDIR /var/lib/antiphon
VOLUME /var/lib/antiphon
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as r; c = ssl._create_unverified_context(); t = 'https' if os.environ.get('ANTIPHON_HTTP__TLS') or os.environ.get('ANTIPHON_HTTP__TLS_CERT') else 'http'; r.urlopen(f\"{t}://127.0.0.1:{os.environ.get('ANTIPHON_HTTP__PORT', 8000)}/health\", timeout=4, context=c)"]
ENTRYPOINT ["antiphon"]
CMD ["up"]
