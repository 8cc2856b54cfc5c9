/** Certificates of the port. */
import type { TLSOptions } from "bun";

/** As the runtime takes them; the first is for clients that name none of the others. */
export type TlsOptions = readonly TLSOptions[];
