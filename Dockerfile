FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/rollcall
COPY requirements.lock ./
RUN /opt/rollcall/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md CHANGELOG.md LICENSE schema.graphql ./
COPY app app
COPY migrations migrations
RUN /opt/rollcall/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --create-home --home-dir /data rollcall
COPY --from=build /opt/rollcall /opt/rollcall
ENV PATH=/opt/rollcall/bin:$PATH HOST=0.0.0.0
USER rollcall
WORKDIR /data
VOLUME /data
EXPOSE 8055
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8055/server/health')"]
CMD ["sh", "-c", "rollcall bootstrap && exec rollcall serve"]
