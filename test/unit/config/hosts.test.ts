import { expect, test } from "bun:test";
import { isAllowedOrigin, isHost, isLoopback } from "../../../src/config/hosts.ts";

test.each(["127.0.0.1", "0.0.0.0", "::", "::1", "localhost", "box-7.example.com", "db_1"])("%s is a host", (text) => {
  expect(isHost(text)).toBe(true);
});

test.each(["", "127.1", "256.0.0.1", "[::1]", "a b", "host:80", "-a", "http://x", "*", "a..b", "x".repeat(254)])(
  "%p is no host",
  (text) => {
    expect(isHost(text)).toBe(false);
  },
);

test.each(["127.0.0.1", "127.255.0.9", "::1", "0:0:0:0:0:0:0:1", "localhost", "LOCALHOST"])(
  "%s is loopback",
  (host) => {
    expect(isLoopback(host)).toBe(true);
  },
);

test.each(["0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "localhost.example.com", "127.0.0.1.example.com", "::2"])(
  "%s is not loopback",
  (host) => {
    expect(isLoopback(host)).toBe(false);
  },
);

test.each(["https://app.example.com", "http://localhost:3000", "https://[::1]:8443"])("%s is an origin", (text) => {
  expect(isAllowedOrigin(text)).toBe(true);
});

test("* stands for every origin", () => {
  expect(isAllowedOrigin("*")).toBe(true);
});

test.each([
  "null",
  "app.example.com",
  "https://app.example.com/",
  "https://App.example.com",
  "https://x:443",
  "data:x",
  "",
])("%p is no origin as browsers send it", (text) => {
  expect(isAllowedOrigin(text)).toBe(false);
});
