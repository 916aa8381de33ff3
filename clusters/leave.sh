#!/bin/bash
# Say on a worker that it is about to be taken away, and wait until its trainings have left it (docs/cluster.md):
#
#   clusters/leave.sh now                before a machine is switched off, or a pod deleted
#   clusters/leave.sh aws                runs on a spot machine of AWS, and says it when AWS does, two minutes before
#
# Trainings end their epochs, and the node's Ray ends when it has nothing more to do. No epoch is trained twice.

set -eu
seconds=120
metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}/latest
checkout=$(cd "$(dirname "$0")/.." && pwd)
export PATH="$checkout/.venv/bin:$PATH" RAY_AUTH_MODE="${RAY_AUTH_MODE:-token}"

# AWS answers 404 until it wants the machine back.
wanted_back() {
  local token
  token=$(curl -sf --max-time 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/api/token") &&
    curl -sf --max-time 5 -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/spot/instance-action"
}

case "${1:-}" in
  now) ;;
  aws) until wanted_back; do sleep 5; done ;;
  *) sed -n '2,/^$/p' "$0" >&2; exit 2 ;;
esac

if grep -qsx gcs_server /proc/[0-9]*/comm; then
  echo "this is the cluster's head, without which there is no cluster; end the run there instead" >&2
  exit 2
fi
# Where the head is gone, too, nobody needs to be told.
timeout 20 ray drain-node --reason DRAIN_NODE_REASON_PREEMPTION --reason-message "it is taken back" \
  --deadline-remaining-seconds "$seconds" || exit 1
end=$((SECONDS + seconds))
while grep -qsx raylet /proc/[0-9]*/comm && [ "$SECONDS" -lt "$end" ]; do sleep 1; done
