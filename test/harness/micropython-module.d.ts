/** What this project uses of a package that has no types. */
declare module "@micropython/micropython-webassembly-pyscript/micropython.mjs" {
  export interface MicroPython {
    readonly FS: { writeFile(path: string, text: string): void };
    runPython(source: string): unknown;
    readonly globals: { get(name: string): unknown };
  }
  export function loadMicroPython(options: {
    /** In bytes. */
    readonly heapsize?: number;
    readonly stdout?: (line: string) => void;
    readonly linebuffer?: boolean;
  }): Promise<MicroPython>;
}
