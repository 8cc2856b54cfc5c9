/** Errors over HTTP: problem documents (RFC 9457) with the codes of the wire. */

/** `code` is one of `core/codes.ts`; `detail` is what a person reads. */
export function problem(status: number, code: number, detail: string): Response {
  const body = { type: "about:blank", title: titles[status] ?? "Error", status, detail, code };
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/problem+json" } });
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  426: "Upgrade Required",
  500: "Internal Server Error",
  503: "Service Unavailable",
};
