/** What enters and leaves, by transport and lane: numbers that hot paths add to, and that metrics read. */

export interface Flow {
  /** Messages published by clients. */
  messagesIn: number;
  bytesIn: number;
  /** Messages delivered to clients, one by one; what native topics deliver is counted by the hub. */
  messagesOut: number;
  bytesOut: number;
}

export interface Traffic {
  readonly websocket: { readonly msgpack: Flow; readonly json: Flow };
  readonly http: { readonly msgpack: Flow; readonly json: Flow };
  readonly sse: { readonly json: Flow };
}

export function createTraffic(): Traffic {
  const lanes = () => ({ msgpack: createFlow(), json: createFlow() });
  return { websocket: lanes(), http: lanes(), sse: { json: createFlow() } };
}

function createFlow(): Flow {
  return { messagesIn: 0, bytesIn: 0, messagesOut: 0, bytesOut: 0 };
}
