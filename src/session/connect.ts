/** How a client gets in: a credential at the upgrade or by op 1, checked, counted, answered; and a new one by op 7. */
import { AuthenticationError } from "../core/authenticator.ts";
import type { DisconnectCode } from "../core/codes.ts";
import { disconnects, errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import type { ConnectMessage, RefreshMessage } from "../wire/messages.ts";
import { op, wireVersion } from "../wire/messages.ts";
import type { Session } from "./session.ts";

/** Op 1. @throws ProtocolError */
export function connect(session: Session, message: ConnectMessage): void {
  if (session.welcomed) throw new ProtocolError(errors.alreadyConnected);
  if (message.token === null) {
    if (!session.identified) throw new ProtocolError(errors.unauthenticated);
    return welcome(session, message);
  }
  if (!session.identified) session.move("authenticating");
  authenticate(
    session,
    message.token,
    (identity) => {
      const first = !session.identified;
      if (!(first ? activate(session, identity) : adopt(session, message.ref, identity))) return;
      welcome(session, message);
      if (first) session.registry.logOpened(session);
      subscribeNamed(session);
    },
    (error) => refuse(session, message.ref, error),
  );
}

/** Op 7: the same subject, a new token. */
export function refresh(session: Session, message: RefreshMessage): void {
  authenticate(
    session,
    message.token,
    (identity) => {
      if (adopt(session, message.ref, identity)) session.answered(message.ref, { expires: expiryOf(identity) });
    },
    (error) => session.refused(message.ref, error.code, error.text),
  );
}

/** The identity is known: the session becomes active, unless its token has connections enough. */
export function activate(session: Session, identity: Identity): boolean {
  if (session.state === "closing") return false;
  if (!session.registry.hub.connections.acquire(identity)) {
    session.end(disconnects.connectionLimit);
    return false;
  }
  session.identity = identity;
  session.client = identity.client ?? session.id;
  session.move("active");
  return true;
}

/** Checks a credential, at once or holding what the client sends until it is known. */
function authenticate(
  session: Session,
  token: string,
  known: (identity: Identity) => void,
  failed: (error: AuthenticationError) => void,
): void {
  const { authenticator, counts } = session.registry;
  let answer: Identity | Promise<Identity>;
  const refused = (reason: unknown) => {
    counts.authenticationFailures++;
    failed(reason instanceof AuthenticationError ? reason : new AuthenticationError(errors.unavailable));
  };
  try {
    answer = authenticator.authenticate(token);
  } catch (reason) {
    return refused(reason);
  }
  if (!(answer instanceof Promise)) return known(answer);
  session.hold();
  void answer
    .then(
      (identity) => void (session.state !== "closing" && known(identity)),
      (reason: unknown) => void (session.state !== "closing" && refused(reason)),
    )
    .then(() => session.release())
    .catch((error: unknown) => session.broken(error));
}

/** Takes a new identity of the same subject in place of the old one. */
function adopt(session: Session, ref: number, identity: Identity): boolean {
  const old = session.identity;
  if (identity.app !== old.app || identity.subject !== old.subject) {
    session.refused(ref, errors.otherSubject);
    return false;
  }
  if (!session.registry.hub.connections.transfer(old, identity)) {
    session.end(disconnects.connectionLimit);
    return false;
  }
  session.identity = identity;
  session.registry.hub.regrant(session);
  return true;
}

function welcome(session: Session, message: ConnectMessage): void {
  const { options } = session.registry;
  session.welcomed = true;
  session.client = session.identity.client ?? message.client ?? session.id;
  session.echo = message.echo ?? session.echo;
  session.pingSeconds = message.ping ?? session.pingSeconds;
  session.answered(message.ref, {
    version: wireVersion,
    session: session.id,
    server: options.server,
    client: session.client,
    ping: session.pingSeconds,
    reply: session.makeReplyPrefix(),
    payloadMax: options.payloadMaxBytes,
    expires: expiryOf(session.identity),
  });
}

/** The patterns named at the upgrade, as by op 2 with ref 0. */
export function subscribeNamed(session: Session): void {
  const patterns = session.takeNamed();
  for (const pattern of patterns) {
    const message = {
      op: op.subscribe,
      ref: 0,
      pattern,
      since: null,
      last: null,
      presence: false,
      info: null,
    } as const;
    try {
      session.registry.hub.subscribe(session, message, session);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      session.refused(0, error.code, `${error.message}: ${pattern}`);
    }
  }
}

/** Unix seconds, or absent. */
function expiryOf({ expiresAtMs }: Identity): number | undefined {
  return expiresAtMs === null ? undefined : Math.floor(expiresAtMs / 1000);
}

const farewells: Readonly<Record<number, DisconnectCode>> = {
  [errors.expiredToken.code]: disconnects.expired,
  [errors.unavailable.code]: disconnects.unavailable,
};

function refuse(session: Session, ref: number, { code, text }: AuthenticationError): void {
  session.refused(ref, code, text);
  session.end(farewells[code.code] ?? disconnects.unauthenticated);
}
