#!/bin/sh
# Starts Envoy in its container: the recipe with the names of compose.yaml in place of 127.0.0.1, the keys from secrets.
set -eu

sed -e 's/address: 127.0.0.1, port_value: 10000/address: 0.0.0.0, port_value: 10000/' \
    -e 's/address: 127.0.0.1, port_value: 8080/address: limits, port_value: 8080/' \
    -e 's/address: 127.0.0.1, port_value: 800[01]/address: model, port_value: 8000/' \
    /etc/envoy/recipe.yaml > /tmp/envoy.yaml

GOVERNANCE_KEY=$(cat /run/secrets/governance_key)
OPENAI_API_KEY=$(cat /run/secrets/openai_api_key)
ANTHROPIC_API_KEY=$(cat /run/secrets/anthropic_api_key)
export GOVERNANCE_KEY OPENAI_API_KEY ANTHROPIC_API_KEY
exec envoy --config-path /tmp/envoy.yaml --disable-hot-restart --log-level warning
