/** Fields of a log line made plain: errors with their causes, no secrets, no payloads, nothing unbounded. */

const hidden = "(hidden)";
const depthMax = 6;
const itemsMax = 64;
const textMax = 4096;

/** Names, without case and punctuation, whose values are never logged. `tokenId` and the like are names, not secrets. */
const secretNames = new Set(
  "token accesstoken refreshtoken admintoken jwt secret clientsecret password passwd authorization credential credentials cookie setcookie apikey privatekey".split(
    " ",
  ),
);

/** A JSON Web Token, or what follows `Bearer`, inside other text such as an error's message. */
const secretText = /\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*|(?<=\bbearer )[^\s"',;]+/gi;

/** `value` as something that JSON can hold. */
export function plain(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case "string":
      return plainText(value);
    case "bigint":
    case "symbol":
      return plainText(String(value));
    case "function":
      return "(function)";
    case "object":
      return value === null ? null : plainObject(value, depth);
    default:
      return value;
  }
}

/** Every field plain; `reserved` names get an underscore, so that a line never has two values of one name. */
export function plainFields(fields: object, reserved: ReadonlySet<string>): Record<string, unknown> {
  const plainFields = plainEntries(Object.entries(fields), 0);
  for (const name of reserved) {
    if (!Object.hasOwn(plainFields, name)) continue;
    plainFields[`${name}_`] = plainFields[name];
    delete plainFields[name];
  }
  return plainFields;
}

function plainObject(value: object, depth: number): unknown {
  if (value instanceof Error) return plainError(value, depth);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `(${value.byteLength} bytes)`;
  if (value instanceof Date || value instanceof URL) return plainText(String(JSON.parse(JSON.stringify(value))));
  if (depth >= depthMax) return "(nested too deeply)";
  if (Array.isArray(value) || value instanceof Set) {
    return [...value].slice(0, itemsMax).map((item) => plain(item, depth + 1));
  }
  return plainEntries(value instanceof Map ? [...value] : Object.entries(value), depth);
}

function plainEntries(entries: readonly (readonly [unknown, unknown])[], depth: number): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, value] of entries.slice(0, itemsMax)) {
    const name = typeof key === "string" ? plainText(key) : nameOf(key);
    object[name] = isSecretName(name) && value !== null && value !== undefined ? hidden : plain(value, depth + 1);
  }
  return object;
}

/** Own fields such as `code` and `syscall` come along; so does what caused it, as far as `depthMax`. */
function plainError(error: Error, depth: number): unknown {
  const { name, message, stack, cause } = error;
  const own = depth >= depthMax ? {} : plainEntries(Object.entries(error), depth);
  return {
    ...own,
    name: plainText(name),
    message: plainText(message),
    ...(stack === undefined ? {} : { stack: plainText(framesOf(stack, message)) }),
    ...(cause === undefined ? {} : { cause: depth >= depthMax ? "(nested too deeply)" : plain(cause, depth + 1) }),
  };
}

/** The stack without its heading, which repeats the message: text from outside that could look like frames. */
function framesOf(stack: string, message: string): string {
  const at = message === "" ? stack.indexOf("\n") : stack.indexOf(message);
  return at < 0 ? stack : stack.slice(at + message.length).trimStart();
}

/** Keys of a map may be anything. */
function nameOf(key: unknown): string {
  return typeof key === "number" || typeof key === "bigint" ? `${key}` : `(${typeof key})`;
}

function isSecretName(name: string): boolean {
  return secretNames.has(name.toLowerCase().replace(/[^a-z]/g, ""));
}

function plainText(text: string): string {
  // Bounded before the search, with room for a secret that begins in the part that is kept.
  const bounded = text.length > textMax ? text.slice(0, 2 * textMax) : text;
  const searched = bounded.replace(secretText, hidden);
  return searched.length > textMax ? `${searched.slice(0, textMax)}…` : searched;
}
