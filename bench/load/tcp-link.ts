/** Protocols that are spoken over bare TCP. */
import { Link } from "./link.ts";
import type { Outlet } from "./protocol.ts";

export class TcpLink extends Link implements Outlet {
  binary(bytes: Uint8Array, end = bytes.length): void {
    this.out.append(bytes, 0, end);
    this.written();
  }

  text(text: string | Uint8Array, end?: number): void {
    if (typeof text === "string") this.out.utf8(text);
    else this.out.append(text, 0, end ?? text.length);
    this.written();
  }

  protected begin(): void {
    this.target.opened(this);
  }

  protected take(bytes: Uint8Array): void {
    this.target.received(bytes, 0, bytes.length);
  }

  protected sayGoodbye(): void {
    this.endSocket();
  }
}
