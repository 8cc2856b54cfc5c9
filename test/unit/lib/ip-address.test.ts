/** `lib/ip-address.ts`: what is an address, what is in a range, and one form for each address. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatIp, isWithin, maskedTo, parseIp, parseIpRange } from "../../../src/lib/ip-address.ts";

const forms: readonly (readonly [text: string, canonical: string])[] = [
  ["127.0.0.1", "127.0.0.1"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::FFFF:c000:0207", "192.0.2.7"],
  ["::", "::"],
  ["::1", "::1"],
  ["2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["fe80::", "fe80::"],
];

test.each(forms)("%s is written %s", (text, canonical) => {
  const address = parseIp(text);
  expect(address && formatIp(address)).toBe(canonical);
});

test.each(["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "a", "::1%eth0", "[::1]", "1::2::3", ":1", "1.2.3.4:80"])(
  "%p is no address",
  (text) => {
    expect(parseIp(text)).toBeNull();
  },
);

test("an address of either kind comes back from its text", () => {
  const byte = fc.nat({ max: 255 });
  const v6 = fc.array(fc.oneof(byte, fc.constant(0)), { minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(fc.oneof(fc.array(byte, { minLength: 4, maxLength: 4 }), v6), (address) => {
      const isMapped = address.length === 16 && formatIp(address).startsWith("::ffff:");
      fc.pre(!isMapped);
      expect(parseIp(formatIp(address))).toEqual(address);
    }),
  );
});

test("IPv6 is written as the URL parser of the platform writes it", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const address = parseIp(text);
      // That parser refuses a few forms with dotted digits at the end.
      fc.pre(address?.length === 16 && URL.canParse(`http://[${text}]/`));
      expect(`[${formatIp(address ?? [])}]`).toBe(new URL(`http://[${text}]/`).hostname);
    }),
  );
});

describe("a range", () => {
  const inside: readonly (readonly [string, string, boolean])[] = [
    ["10.0.0.0/8", "10.255.1.2", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.1.2.3", "10.1.2.3", true],
    ["10.1.2.3", "10.1.2.4", false],
    ["192.0.2.128/25", "192.0.2.127", false],
    ["192.0.2.129/25", "192.0.2.254", true],
    ["0.0.0.0/0", "8.8.8.8", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["::/0", "8.8.8.8", false],
    ["::ffff:10.0.0.0/104", "10.9.9.9", true],
    ["fd00::/8", "fdff::1", true],
    ["2001:db8::/33", "2001:db8:8000::", false],
  ];
  test.each(inside)("%s has %s in it: %p", (range, address, expected) => {
    expect(isWithin(parseIp(address) ?? [], parseIpRange(range) ?? { address: [], bits: 0 })).toBe(expected);
  });

  test.each(["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "/8", "a/8", "::ffff:10.0.0.0/95"])(
    "%s is none",
    (text) => {
      expect(parseIpRange(text)).toBeNull();
    },
  );

  test("holds an address exactly where their first bits are the same", () => {
    const bytes = fc.array(fc.nat({ max: 255 }), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(bytes, fc.nat({ max: 128 }), fc.nat({ max: 127 }), (address, bits, flipped) => {
        const other = address.map((byte, i) => (i === flipped >> 3 ? byte ^ (128 >> (flipped & 7)) : byte));
        expect(isWithin(other, { address, bits })).toBe(flipped >= bits);
        expect(isWithin(maskedTo(address, bits), { address, bits })).toBe(true);
      }),
    );
  });
});
