// Sends load with k6, for a bounded time; fails unless every answer is 2xx.
//
//   k6 run examples/load/k6.js
//   k6 run -e URL=http://127.0.0.1:8080/v1/events -e DURATION=30s -e CONNECTIONS=32 -e EVENTS=100 examples/load/k6.js
//
// URL          http://127.0.0.1:8080/load
// DURATION     30s
// CONNECTIONS  virtual users, each with a connection of its own; 32
// EVENTS       in each request; 1 (a JSON object; above 1: an array)
//
// At the end `events_sent` counts the events of requests that were answered 2xx. headgate_events_delivered_total on the
// admin listener must have grown by as many.
//
// Exit status: 0, or 99 when a request failed.

import { check } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { Counter } from "k6/metrics";

const url = __ENV.URL || "http://127.0.0.1:8080/load";
const eventsPerRequest = Number(__ENV.EVENTS || 1);
const eventsSent = new Counter("events_sent");
const padding = "x".repeat(300);

export const options = {
  scenarios: {
    load: {
      executor: "constant-vus",
      vus: Number(__ENV.CONNECTIONS || 32),
      duration: __ENV.DURATION || "30s",
      // Requests under way at the end are waited for: one that was cut off may have been accepted without being counted.
      gracefulStop: "60s",
    },
  },
  thresholds: {
    checks: ["rate==1"],
    http_req_failed: ["rate==0"],
    events_sent: ["count>0"],
  },
  discardResponseBodies: true,
};

function event(place) {
  return {
    message: `a line of a log as applications write them, ${padding}`,
    level: "info",
    logger: "app.orders",
    load: { user: exec.vu.idInTest, iteration: exec.vu.iterationInScenario, place },
  };
}

export default function () {
  const events = Array.from({ length: eventsPerRequest }, (_, place) => event(place));
  const body = JSON.stringify(eventsPerRequest === 1 ? events[0] : events);
  const answer = http.post(url, body, { headers: { "Content-Type": "application/json" }, timeout: "60s" });
  if (check(answer, { "answered 2xx": (r) => r.status >= 200 && r.status < 300 })) {
    eventsSent.add(eventsPerRequest);
  }
}
