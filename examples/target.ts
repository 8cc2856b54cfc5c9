/** The server that the examples use: TAGCAST_URL and TAGCAST_TOKEN, and on standard error what becomes of the connection. */
import { type Client, connect, type ConnectOptions } from "tagcast/client";

const urlDefault = "ws://127.0.0.1:8080/ws";

/** Text of others for a terminal: nothing in it moves the cursor, rings the bell, breaks the line or turns its direction. */
export function harmless(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/gu, " ");
}

/** Ends the program, with the reason, where the server refuses it for good. */
export function connectToServer(options: Omit<ConnectOptions, "token"> = {}): Client {
  const { TAGCAST_URL: url = urlDefault, TAGCAST_TOKEN: token } = process.env;
  const client = connect(url, { ...options, ...(token === undefined ? {} : { token }) });
  let away = false;
  client.on("error", (error) => {
    if (client.state === "waiting" && away) return;
    away = client.state === "waiting";
    console.error(away ? `No connection to ${url}: ${error.message}; trying again` : error.message);
  });
  client.on("state", (state) => {
    if (state !== "active" || !away) return;
    away = false;
    console.error("Connected");
  });
  void client.closed.then((error) => {
    if (error === null) return;
    console.error(`${error.message}. Is TAGCAST_TOKEN what the server accepts?`);
    process.exit(1);
  });
  return client;
}
