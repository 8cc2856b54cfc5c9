/**
 * Datagrams to the socket of a service manager. Neither Bun nor `node:dgram` has datagram sockets of the Unix domain, so the
 * C library is called.
 */
import { dlopen, ptr } from "bun:ffi";

const unixDomain = 1;
/** `SOCK_DGRAM | SOCK_CLOEXEC` of Linux. */
const datagram = 0o2000002;
/** `MSG_NOSIGNAL | MSG_DONTWAIT` of Linux: a manager that is slow must not hold up the server. */
const flags = 0x4040;
/** `sun_path` of unix(7). */
const pathMaxBytes = 108;

const functions = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
} as const;

/**
 * A function that sends one datagram to a socket: the path of one, or with `@` in front the name of an abstract one. Its answer
 * says whether it was sent.
 * @throws where the path is no path, or there is no C library that is known
 */
export function openNotifySocket(path: string): (text: string) => boolean {
  const name = new TextEncoder().encode(path);
  if (!/^[/@]./.test(path) || name.length >= pathMaxBytes) throw new Error(`${path} is not the path of a socket`);
  const address = new Uint8Array(2 + pathMaxBytes);
  new DataView(address.buffer).setUint16(0, unixDomain, true);
  address.set(name, 2);
  const isAbstract = path.startsWith("@");
  if (isAbstract) address[2] = 0;
  // An abstract name ends with its length, a path with a NUL.
  const addressBytes = 2 + name.length + (isAbstract ? 0 : 1);
  const { socket, sendto } = openLibrary();
  const descriptor = socket(unixDomain, datagram, 0);
  if (descriptor < 0) throw new Error("no socket could be made");
  return (text) => {
    const bytes = new TextEncoder().encode(text);
    return sendto(descriptor, ptr(bytes), bytes.length, flags, ptr(address), addressBytes) === BigInt(bytes.length);
  };
}

function openLibrary() {
  const musl = { x64: "x86_64", arm64: "aarch64" }[process.arch as string] ?? process.arch;
  for (const name of ["libc.so.6", `libc.musl-${musl}.so.1`]) {
    try {
      return dlopen(name, functions).symbols;
    } catch {
      // The other one, then.
    }
  }
  throw new Error("the C library was not found");
}
