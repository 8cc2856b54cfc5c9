/** Which texts name a host or an origin, and which hosts cannot be reached from other machines. */
import { isIPv4, isIPv6 } from "node:net";

/** Whether `text` can be listened on: an IP address, IPv6 without brackets, or a host name. */
export function isHost(text: string): boolean {
  if (isIPv4(text) || isIPv6(text)) return true;
  // A name of digits and dots alone is a mistyped address.
  return (
    text.length <= 253 &&
    !/^[\d.]*$/.test(text) &&
    text.split(".").every((label) => /^[a-z\d]([a-z\d_-]{0,61}[a-z\d])?$/i.test(label))
  );
}

/** Whether only this machine can reach what listens on `host`. Names other than `localhost` count as reachable. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith("127.");
  if (isIPv6(host)) return URL.parse(`http://[${host.replace(/%.*$/, "")}]/`)?.hostname === "[::1]";
  return host.toLowerCase() === "localhost";
}

/** Whether `text` is an origin as browsers send it: scheme and host, a port where it is not the scheme's own, nothing else; or `*`. */
export function isAllowedOrigin(text: string): boolean {
  if (text === "*") return true;
  return text.length <= 300 && URL.parse(text)?.origin === text && text !== "null";
}
