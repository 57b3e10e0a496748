#!/bin/sh
# A validator for pg-auth-proxy: looks tokens up in a file. Needs jq and sha256sum.
#
#   [issuers.validator]
#   command = ["/usr/local/libexec/check_token.sh", "tokens.json"]
#
# The file holds the SHA-256 of each token, never the token, so whoever reads it cannot log in with it. Tokens must be
# random and long (openssl rand -base64 32), or their hashes could be guessed:
#
#   { "<sha256>": { "identity": "alice", "roles": ["reporting"], "expires": 1893456000 } }
#
# To add a token: tr -d '\n' < token | sha256sum
set -u
known=${1:?"usage: check_token.sh FILE"}

while IFS= read -r question; do
  # Only through pipes, which printf fills without another process: a command line is there for everyone to read.
  hash=$(printf '%s' "$question" | jq -j .token | sha256sum | cut -d ' ' -f 1)
  # The file is read anew each time, so that a line taken out of it is a token withdrawn.
  printf '%s' "$question" | jq -c --arg hash "$hash" --slurpfile known "$known" '
    $known[0][$hash] as $found
    | if $found == null then { id, authorized: false, reason: "no such token" }
      else { id, authorized: true } + ($found | { identity, roles, expires })
      end' || exit 1
done
