#!/bin/sh
# Wraps alerts.yaml for the Prometheus operator. A copy by machine, so that there is one text of every rule.
set -eu
cd "$(dirname "$0")"
cat >prometheusrule.yaml <<'HEAD'
# Made by wrap.sh out of alerts.yaml; change that one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: wechat-token-hub
  labels: { app.kubernetes.io/name: wechat-token-hub }
spec:
HEAD
grep -v '^#' alerts.yaml | sed 's/^./  &/' >>prometheusrule.yaml
