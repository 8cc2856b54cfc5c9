/** Which peers take part in what. */

export const control = "bun control";
export const tagcast = "tagcast";
/** Without a Redis, with one, and two instances that share one. */
export const joined = [tagcast, "tagcast redis", "tagcast cluster"] as const;
/** One process, one with a Redis, and several that share a port and a Redis. */
export const onOnePort = [tagcast, "tagcast redis", "tagcast processes"] as const;
/** A log in memory, on disk, on disk without waiting for it; and what comes near to the second. */
export const keeping = [tagcast, "tagcast store", "tagcast store normal", "mosquitto durable"] as const;
/** All that carry messages over WebSocket, and MQTT over TCP. */
export const everyone = [
  tagcast,
  control,
  "nats",
  "mosquitto",
  "mosquitto-tcp",
  "ws",
  "socket.io",
  "socket.io-redis",
  "aedes",
] as const;
/** Each server once, over WebSocket. */
export const overWebSocket = [tagcast, control, "nats", "mosquitto", "ws", "socket.io", "aedes"] as const;
/** The same for work in which the transport matters. */
export const overAnything = [...overWebSocket, "mosquitto-tcp"] as const;
/** Subscribe by patterns. */
export const withWildcards = [tagcast, "nats", "mosquitto", "aedes"] as const;
/** Compress. */
export const withCompression = [tagcast, control, "nats", "ws", "socket.io"] as const;
