# Not built here, and so not tested.
#
#   docker build -t gan_jax .
#   docker run --gpus all -v $PWD/runs:/work/runs gan_jax train --config=digits
#
# CUDA comes with JAX's wheels, so that the host needs its driver and the NVIDIA
# container toolkit alone: build with --build-arg JAX_EXTRA=cuda13. Without it
# the image is for CPUs.
FROM python:3.12-slim

COPY --from=ghcr.io/astral-sh/uv:0.13 /uv /bin/uv
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 PATH=/app/.venv/bin:$PATH
ARG JAX_EXTRA=

WORKDIR /app
COPY . .
RUN uv sync --frozen --no-editable --no-dev --extra plots --extra tfds \
  && if [ -n "$JAX_EXTRA" ]; then \
    version=$(python -c 'import jax; print(jax.__version__)'); \
    uv pip install "jax[$JAX_EXTRA]==$version"; fi

WORKDIR /work
ENTRYPOINT ["gan-jax"]
CMD ["--help"]
