#!/usr/bin/env bash
# The limits of a small company, made over HTTP and listed. May run again. Start the service first: make run
# GOVERNANCE_URL and GOVERNANCE_KEY, or the GOVERNANCE_INSTANCE that the service has, say where it is elsewhere.
set -euo pipefail

url=${GOVERNANCE_URL:-http://127.0.0.1:8080}
key=${GOVERNANCE_KEY:-$(cat "${GOVERNANCE_INSTANCE:-$(dirname "$0")/../instance}/admin.key")}

call() { # call METHOD PATH [JSON]: shows the answer; what exists already stays as it is
  local answer status body
  answer=$(curl -sS -w '\n%{http_code}' -X "$1" "$url/api/governance/$2" \
    -H "Authorization: Bearer $key" -H 'Content-Type: application/json' ${3:+-d "$3"})
  status=${answer##*$'\n'} body=${answer%$'\n'*}
  case $status:$body in
    2??:*) echo "$body" ;;
    409:*'"code":"already_exists"'*) echo "It exists already, and stays as it is." ;;
    *) echo "$1 $2: $status $body" >&2; return 1 ;;
  esac
}

echo '# 1. Nobody spends more than $500 a month, all models together; the month is Berlin'"'"'s.'
call POST model-configs '{
  "model_name": "*", "calendar_aligned": true, "timezone": "Europe/Berlin",
  "budgets": [{"max_limit": 50, "reset_duration": "1d"}, {"max_limit": 500, "reset_duration": "1M"}]}'

echo '# 2. The expensive model: $20 a day, 15 requests a minute.'
call POST model-configs '{
  "model_name": "claude-opus-4-1", "provider": "anthropic",
  "budget": {"max_limit": 20, "reset_duration": "1d"},
  "rate_limit": {"request_max_limit": 15, "request_reset_duration": "1m"}}'

echo '# 3. The search team has a key of its own: 2 million tokens a day on gpt-4o.'
call POST virtual-keys '{"id": "search-team", "name": "Search team"}'
call POST model-configs '{
  "model_name": "gpt-4o", "provider": "openai", "scope": "virtual_key", "scope_id": "search-team",
  "rate_limits": [{"token_max_limit": 2000000, "token_reset_duration": "1d"}]}'

echo '# 4. The intern may spend $1.50 a week.'
call POST users '{"id": "u-17", "name": "Intern"}'
call POST model-configs '{
  "model_name": "*", "scope": "user", "scope_id": "u-17", "budgets": [{"max_limit": 1.5, "reset_duration": "1w"}]}'

echo '# All of them, from memory.'
call GET 'model-configs?from_memory=true&limit=10'
