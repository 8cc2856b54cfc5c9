/** What a server must refuse, with the code of op 17 and whether the rest of the frame is still read. */
import { errors, type ErrorCode } from "../../src/core/codes.ts";
import type { Piece } from "./cases.ts";

/** A frame in one form, whose first message is refused. Limits: payloads of 1 MiB, 64 levels. */
export interface InvalidCase {
  readonly name: string;
  readonly msgpack?: string | readonly Piece[];
  readonly json?: string | readonly Piece[];
  readonly code: number;
  /** Ref that op 17 carries. */
  readonly ref: number;
  /** `kept`: the next message is read. `lost`: the rest of the frame is. `closed`: the connection is ended with 3501. */
  readonly rest: "kept" | "lost" | "closed";
}

type Bytes = string | readonly Piece[];
type Rest = InvalidCase["rest"];

const msgpack = (name: string, bytes: Bytes, { code }: ErrorCode, ref = 0, rest: Rest = "lost"): InvalidCase => ({
  name,
  msgpack: bytes,
  code,
  ref,
  rest,
});

const json = (name: string, text: Bytes, { code }: ErrorCode, ref = 0, rest: Rest = "kept"): InvalidCase => ({
  name,
  json: text,
  code,
  ref,
  rest,
});

const { malformed, badRequest, unknownOp, invalidTag, invalidPattern, payloadTooLarge, tooDeep } = errors;

const frames: readonly InvalidCase[] = [
  msgpack("no array", "05", malformed),
  msgpack("a map", "80", malformed),
  msgpack("a byte that is not MessagePack", "c1", malformed),
  msgpack("a payload that is not MessagePack", "940407a174c1", malformed, 7),
  msgpack("a header alone", "94", malformed),
  msgpack("an array header cut short", "dc00", malformed),
  msgpack("a count of 100 million in five bytes", "dd05f5e100", malformed),
  msgpack("a payload of 100 million elements", "940407a174dd05f5e100", malformed, 7),
  msgpack("a payload of 2^32-1 pairs", "940407a174dfffffffff", malformed, 7),
  msgpack("a string longer than the frame", "940407dbffffffff61", malformed, 7),
  msgpack("a payload longer than the frame", "940407a174c6ffffffff00", malformed, 7),
  msgpack("an extension longer than the frame", "940407a174c9ffffffff0500", malformed, 7),
  msgpack("a payload cut short", "940407a174cb3ff000", malformed, 7),
  msgpack("a payload missing", "940407a174", malformed, 7),
  msgpack("65 levels", ["940407a174", ["91", 64], "90"], tooDeep, 7, "closed"),
  msgpack("a nesting bomb", ["940407a174", ["91", 100_000], "c0"], tooDeep, 7, "closed"),
  msgpack("a nesting bomb of maps", ["940407a174", ["81c0", 100_000], "c0"], tooDeep, 7, "closed"),
  msgpack("a nesting bomb as unknown op", ["931e07", ["91", 100_000], "c0"], tooDeep, 7, "closed"),
  msgpack("options nested too deep", ["93010781a178", ["91", 8], "c0"], tooDeep, 7, "closed"),
  json("no JSON", "[9,1", malformed),
  json("no array", '{"op":9}', malformed),
  json("a number", "9", malformed),
  json("a nesting bomb", [["[", 100_000]], tooDeep, 0, "closed"),
  json("a nesting bomb of maps", ["[4,7,", ['{"a":', 100_000]], tooDeep, 0, "closed"),
  json("65 levels", ['[4,7,"t",', ["[", 65], ["]", 65], "]"], tooDeep, 7, "closed"),
];

const messages: readonly InvalidCase[] = [
  msgpack("an empty message", "90", badRequest, 0, "kept"),
  msgpack("an op alone", "9109", badRequest, 0, "kept"),
  msgpack("an op that is a string", "92a13907", badRequest, 0, "kept"),
  msgpack("a negative op", "92ff07", badRequest, 0, "kept"),
  msgpack("a ref that is a string", "9209a137", badRequest, 0, "kept"),
  msgpack("a negative ref", "9209ff", badRequest, 0, "kept"),
  msgpack("a ref of 2^32", "9209cf0000000100000000", badRequest, 0, "kept"),
  ...[0, 8, 10, 15, 16, 17, 18, 19, 20, 21, 22, 23, 31, 32, 127].map((n) =>
    msgpack(`op ${n}`, `92${n.toString(16).padStart(2, "0")}07`, unknownOp, 7, "kept"),
  ),
  msgpack("an unknown op with more", "941e0780c0", unknownOp, 7, "kept"),
  msgpack("an unknown op without a ref", "921ec0", unknownOp, 0, "kept"),
  msgpack("a subscribe without a pattern", "920207", badRequest, 7, "kept"),
  msgpack("a publish without a payload", "930407a174", badRequest, 7, "kept"),
  msgpack("a refresh without a token", "920707", badRequest, 7, "kept"),
  json("an empty message", "[]", badRequest),
  json("an op alone", "[9]", badRequest),
  json("an op that is a string", '["9",7]', badRequest, 7),
  json("a ref that is a string", '[9,"7"]', badRequest),
  json("a ref of 2^32", "[9,4294967296]", badRequest),
  json("a ref that is no integer", "[9,1.5]", badRequest),
  json("an op of the server", "[18,7]", unknownOp, 7),
  json("a subscribe without a pattern", "[2,7]", badRequest, 7),
];

const fields: readonly InvalidCase[] = [
  msgpack("an empty tag", "940407a0c0", invalidTag, 7, "kept"),
  msgpack("a tag of 256 bytes", ["940407da0100", ["61", 256], "c0"], invalidTag, 7, "kept"),
  msgpack("a tag that is a negative number", "940407ffc0", invalidTag, 7, "kept"),
  msgpack("no tags", "94040790c0", badRequest, 7, "kept"),
  msgpack("17 tags", ["940407dc0011", ["a174", 17], "c0"], badRequest, 7, "kept"),
  msgpack("an ill-formed tag among several", "94040791a1ffc0", invalidTag, 7, "kept"),
  msgpack("an ill-formed tag of presence", "930607a1ff", invalidTag, 7, "kept"),
  msgpack("an ill-formed pattern", "930207a1ff", invalidPattern, 7, "kept"),
  msgpack("a pattern of 256 bytes", ["930207da0100", ["61", 256]], invalidPattern, 7, "kept"),
  msgpack("an ill-formed token", "93010781a5746f6b656ea1ff", malformed, 7, "kept"),
  msgpack("a token of 8193 bytes", ["93010781a5746f6b656eda2001", ["61", 8193]], badRequest, 7, "kept"),
  msgpack("options that are an array", "93010790", badRequest, 7, "kept"),
  msgpack("options of 80 KiB and more", ["940207a17481a178c600014000", ["00", 81_920]], badRequest, 7, "kept"),
  msgpack("a ping of 9 s", "93010781a470696e6709", badRequest, 7, "kept"),
  msgpack("a ping of 901 s", "93010781a470696e67cd0385", badRequest, 7, "kept"),
  msgpack("an echo that is a number", "93010781a46563686f01", badRequest, 7, "kept"),
  msgpack("an epoch of 0", "940207a17481a573696e6365920001", badRequest, 7, "kept"),
  msgpack("a position of one", "940207a17481a573696e63659101", badRequest, 7, "kept"),
  msgpack("an offset of 2^53", "940207a17481a573696e63659201cf0020000000000000", badRequest, 7, "kept"),
  msgpack("a map of positions for a tag", "940207a17481a573696e636580", badRequest, 7, "kept"),
  msgpack("a position for a pattern", "940207a12381a573696e6365920101", badRequest, 7, "kept"),
  msgpack("the last 0", "940207a17481a46c61737400", badRequest, 7, "kept"),
  msgpack("an id of 33 bytes", ["950407a174c081a26964d921", ["61", 33]], badRequest, 7, "kept"),
  msgpack("an empty id", "950407a174c081a26964a0", badRequest, 7, "kept"),
  msgpack("an empty reply tag", "950407a174c081a57265706c79a0", invalidTag, 7, "kept"),
  msgpack("a reply tag with a wildcard", "950407a174c081a57265706c79a12b", invalidTag, 7, "kept"),
  msgpack("a reply tag with a NUL", "950407a174c081a57265706c79a26100", invalidTag, 7, "kept"),
  msgpack("a limit of 1001", "940507a17481a56c696d6974cd03e9", badRequest, 7, "kept"),
  msgpack("a payload of 1 MiB and more", ["940407a174c600100000", ["00", 1_048_576]], payloadTooLarge, 7, "kept"),
  json("an empty tag", '[4,7,"",null]', invalidTag, 7),
  json("a tag with a lone surrogate", '[4,7,"\\ud800",null]', invalidTag, 7),
  json("a tag of 256 bytes", ['[4,7,"', ["ü", 128], '",null]'], invalidTag, 7),
  json("17 tags", ['[4,7,["t"', [',"t"', 16], "],null]"], badRequest, 7),
  json("a token with a lone surrogate", '[1,7,{"token":"\\ud800"}]', malformed, 7),
  json("a payload with a lone surrogate", '[4,7,"t","\\ud800"]', badRequest, 7),
  json("a form that is none", '[4,7,"t",{"$date":1}]', badRequest, 7),
  json("a $bin that is not base64", '[4,7,"t",{"$bin":"?"}]', badRequest, 7),
  json("an $int beyond 64 bits", '[4,7,"t",{"$int":"18446744073709551616"}]', badRequest, 7),
  json("a $num that is a number", '[4,7,"t",{"$num":1}]', badRequest, 7),
  json("an $ext of type 128", '[4,7,"t",{"$ext":[128,""]}]', badRequest, 7),
  json("a $map of single values", '[4,7,"t",{"$map":[1]}]', badRequest, 7),
  json("a $raw of two values", '[4,7,"t",{"$raw":"AQI="}]', badRequest, 7),
  json("a $raw that is not MessagePack", '[4,7,"t",{"$raw":"wQ=="}]', malformed, 7),
  json("options that are an array", "[1,7,[]]", badRequest, 7),
  json("info of 257 bytes", ['[2,7,"t",{"info":"', ["a", 255], '"}]'], badRequest, 7),
];

export const invalidCases: readonly InvalidCase[] = [...frames, ...messages, ...fields];
