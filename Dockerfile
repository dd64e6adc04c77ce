# The image of every process in docker-compose.yml. Installs exactly what the lock file pins, as a
# user without rights; the code is read-only at run time.
# trixie: its postgresql-client is 17, like the server; an older pg_dump refuses a newer server.
FROM python:3.12-slim-trixie

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --create-home --home-dir /var/lib/kizashi kizashi

WORKDIR /app
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt

COPY pyproject.toml README.md ./
COPY warning_service warning_service
COPY student_checkin student_checkin
COPY teacher_portal teacher_portal
COPY connectors connectors
COPY models models
COPY design design
COPY demo demo
COPY migrations migrations
RUN pip install --no-cache-dir --no-build-isolation --no-deps .

USER kizashi
EXPOSE 8000
CMD ["kizashi", "serve"]
