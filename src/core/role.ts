/** What an instance is there for: with roles parts of the service scale on their own, joined by the broker. */

/** `gateway`: WebSockets and event streams. `api`: the HTTP API, its documentation and the pages. */
export const roles = ["gateway", "api"] as const;
export type Role = (typeof roles)[number];
