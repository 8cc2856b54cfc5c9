/** Why a goal is missed and what the floor is, written by hand; the report prints it beside the goal. */

const slow = `Every delivery is a system call here, as it is in the control, and there are equally many of them
(\`strace -c\`: one \`sendto\` by delivery in both). By \`perf\`, 82 to 89 % of the server's time is in the kernel, and what is
left for the code of tagcast is some 16 µs by message, 0.16 µs by delivery at 100 subscribers. Below the control it
gets only by sending later, several messages at once, which would cost latency.`;

/** By `work: goal` as in `goals.ts`. */
export const notes: Readonly<Record<string, string>> = {
  "1→100 at 1,000 msg/s, per delivery: ≤ 0.95 × bun control": slow,
  "1→1,000 at 100 msg/s, per delivery: ≤ 0.95 × bun control": slow,
  "1,000 pairs on 1,000 tags, per message: ≤ 1.15 × bun control": `Nothing can be gathered where each message has a publisher, a tag and a
subscriber of its own: one \`recvfrom\` and one \`sendto\` by message, as in the control. About 10 % of the time is in the code of
tagcast, most of it waiting for memory: the session, the tag and the topic of each message are touched for the first time
in a while. Looking at fewer places brought it from ×1.21 to ×1.10 in ten alternating rounds.`,
  "10,000 live tags, what Redis adds to a message on the instance that sends it: ≤ 1.5 µs of CPU": `The bridge alone, from
the call that relays a message to the socket, takes 1.0 to 1.4 µs at 10,000 tags. A whole instance that is also a subscriber of
Redis takes more: it hears its own messages back and passes over them, and at the rates of a short run fewer of them share a call.
With a log the bridge takes 1.7 to 2.3 µs, beyond the goal: each tag is a part of the call with an answer of its own. A profile
has a seventh of it in finding what is known of a tag among 10,000, which is memory that has left the caches (a second look
is free), and the rest spread over writing the parts, the socket and reading the answers, none of them more than a tenth.`,
  "p99 latency of 100 pairs beside one client that floods: ≤ 1.5 × without it": `Three runs of five rounds on a machine that was
quiet or nearly so had ×0.92, ×1.55 and ×1.80, of a p99 between 0.4 and 1.6 ms; without the limit it is 48 to 58 ms. The runtime reads some 7,000 small
frames of a flood at one time and hands them all over before anybody else has a turn, however few of them are handled then. At the default of
5,000 messages a second that happens more than once in a hundred messages of the others; a lower \`message-rate-per-connection\` makes it rarer.`,
};
