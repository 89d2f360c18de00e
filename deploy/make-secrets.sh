#!/usr/bin/env bash
# Makes the files that deploy/compose.yaml mounts as secrets, once; existing ones are kept.
set -euo pipefail
cd "$(dirname "$0")"

install -d -m 0700 secrets
if [[ ! -s secrets/postgres_password || ! -s secrets/database_url ]]; then
  password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s' "$password" >secrets/postgres_password
  printf 'postgresql://antiphon:%s@postgres:5432/antiphon' "$password" >secrets/database_url
fi
if [[ ! -s secrets/livekit_api_secret ]]; then
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >secrets/livekit_api_secret
fi
if [[ ! -s secrets/speech_token ]]; then
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >secrets/speech_token
fi
# The containers read them as other users; on this machine the folder keeps everybody else out.
chmod 0444 secrets/postgres_password secrets/database_url secrets/livekit_api_secret secrets/speech_token
echo "deploy/secrets is ready." >&2
