// Package monitor shows a running sensor from outside: HTTP endpoints for
// Prometheus and for health checks, and a NATS micro service.
//
// In goes a function that returns the sensor's status.Status; it is called once
// per request, from any goroutine. Out come GET /metrics, /healthz, /readyz,
// /status and, where asked for, /debug/pprof/; and the service "flowscope" whose
// endpoint status answers with the same JSON. Serve and Offer start their
// goroutines and end them before they return or with the value's Close. The
// package counts nothing itself.
package monitor
