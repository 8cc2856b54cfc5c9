/** Errors over HTTP: the status that goes with each code of the wire. */
import { expect, test } from "bun:test";
import { errors } from "../../../src/core/codes.ts";
import { problem, problemOf } from "../../../src/gateway/problem.ts";

test("a problem document says what went wrong, with the code of the wire", async () => {
  const response = problemOf(errors.invalidTag, "tag: Not a valid tag");
  expect([response.status, response.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
  expect(await response.json()).toEqual({
    type: "about:blank",
    title: "Bad Request",
    status: 400,
    detail: "tag: Not a valid tag",
    code: 108,
  });
});

test("every code has a status, and those that a retry can help are told from the others", async () => {
  for (const code of Object.values(errors)) {
    const { status } = problemOf(code);
    expect({ code: code.name, retry: [429, 500, 503, 504].includes(status) }).toEqual({
      code: code.name,
      retry: code.retry,
    });
    expect(((await problemOf(code).json()) as { title: string }).title).not.toBe("Error");
  }
});

test("what can be asked again says when, and not where that could publish twice", () => {
  const retryAfter = (status: number) => problem(status, 100, "").headers.get("retry-after");
  expect([429, 503, 504, 500, 400].map(retryAfter)).toEqual(["1", "5", null, null, null]);
  expect(problemOf(errors.outcomeUnknown).status).toBe(504);
});

test("whoever has no credential is told how to present one", () => {
  expect(problemOf(errors.unauthenticated).headers.get("www-authenticate")).toBe("Bearer");
  expect(problemOf(errors.denied).headers.get("www-authenticate")).toBeNull();
});
