// A flash sale for k6 (https://k6.io): orders for one SKU at a constant arrival rate, each with a key of its own.
//
//   TARGET=http://127.0.0.1:8080  TOKENS=file of access tokens, one a line (`shobai customers create`)
//   SKU=SHOBAI-HOT-1  RATE=1000 orders per second  SECONDS=10
//
// An order must be accepted, or refused because nothing is left; anything else fails the run.

import http from "k6/http";
import { check } from "k6";
import { SharedArray } from "k6/data";
import exec from "k6/execution";

const target = __ENV.TARGET || "http://127.0.0.1:8080";
const tokens = new SharedArray("tokens", () => open(__ENV.TOKENS).split("\n").filter((line) => line !== ""));
const rate = Number(__ENV.RATE || 1000);
const run = Date.now();
const body = JSON.stringify({
  lines: [{ sku: __ENV.SKU || "SHOBAI-HOT-1", quantity: 1 }],
  payment: { method: "konbini", konbini: { chain: "seven_eleven", phone: "09012345678" } },
});

// Out of stock is an answer too.
http.setResponseCallback(http.expectedStatuses(201, 409));

export const options = {
  scenarios: {
    sale: {
      executor: "constant-arrival-rate",
      rate,
      timeUnit: "1s",
      duration: `${__ENV.SECONDS || 10}s`,
      preAllocatedVUs: Math.max(10, Math.ceil(rate / 10)),
      maxVUs: Math.max(50, rate),
    },
  },
  thresholds: { checks: ["rate==1"] },
};

export default function () {
  const number = exec.scenario.iterationInTest;
  const answer = http.post(`${target}/v1/orders`, body, {
    headers: {
      Authorization: `Bearer ${tokens[number % tokens.length]}`,
      "Content-Type": "application/json",
      "Idempotency-Key": `k6-${run}-${number}`,
    },
  });
  check(answer, { "accepted or out of stock": (answer) => answer.status === 201 || answer.status === 409 });
}
