/** How a client gets in: a credential at the upgrade or by op 1, checked, counted, answered; and a new one by op 7. */
import { AuthenticationError } from "../core/authenticator.ts";
import type { DisconnectCode } from "../core/codes.ts";
import { disconnects, errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import { assert } from "../lib/assert.ts";
import type { ConnectMessage, RefreshMessage } from "../wire/messages.ts";
import { op, wireLimits, wireVersion } from "../wire/messages.ts";
import { Aliases } from "./aliases.ts";
import type { Entrance } from "./credentials.ts";
import type { Session } from "./session.ts";

/** Op 1. @throws ProtocolError */
export function connect(session: Session, message: ConnectMessage): void {
  if (session.welcomed) throw new ProtocolError(errors.alreadyConnected);
  if (message.token === null) {
    if (!session.identified) throw new ProtocolError(errors.unauthenticated);
    return welcome(session, message);
  }
  if (!session.identified) session.move("authenticating");
  const { ref, token } = message;
  authenticate(
    session,
    { token, entrance: "op 1" },
    (identity) => {
      const first = !session.identified;
      const done = () => {
        welcome(session, message);
        if (first) session.registry.logOpened(session);
        subscribeNamed(session);
      };
      return first ? activate(session, identity, done) : adopt(session, { ref, token }, identity, done);
    },
    (error) => refuse(session, ref, error),
  );
}

/** Op 7: the same subject, a new token. */
export function refresh(session: Session, message: RefreshMessage): void {
  authenticate(
    session,
    { token: message.token, entrance: "op 7" },
    (identity) =>
      adopt(session, message, identity, () => session.answered(message.ref, { expires: expiryOf(identity) })),
    (error) => session.refused(message.ref, error.code, error.text),
  );
}

/** With an identity from the upgrade. */
export function enter(session: Session, identity: Identity): void {
  const done = () => {
    session.registry.logOpened(session);
    subscribeNamed(session);
  };
  hold(session, activate(session, identity, done));
}

/** The identity is known: the session becomes active, unless its token has connections enough, here or anywhere. */
function activate(session: Session, identity: Identity, done: () => void): Promise<void> | void {
  if (session.state === "closing") return;
  const { hub, rates } = session.registry;
  const { connections } = hub;
  const waitMs = rates.wait(identity, "connects");
  if (waitMs > 0) return session.end(disconnects.tooManyConnects, Math.ceil(waitMs));
  rates.charge(identity, { connects: 1 });
  const answer = connections.acquire(identity);
  if (answer === false) return session.end(disconnects.connectionLimit);
  session.identity = identity;
  session.client = identity.client ?? session.id;
  const admitted = () => {
    session.counted = true;
    session.move("active");
    done();
  };
  if (answer === true) return admitted();
  return answer.then((isAdmitted) => {
    if (!isAdmitted) return session.end(disconnects.connectionLimit);
    if (session.gone) return connections.release(identity);
    // It may have been edited meanwhile.
    connections.changed(identity, session.identity);
    if (session.state !== "closing") admitted();
    else session.counted = true;
  });
}

/** Checks a credential, at once or holding what the client sends until it is known. */
function authenticate(
  session: Session,
  { token, entrance }: { readonly token: string; readonly entrance: Entrance },
  known: (identity: Identity) => Promise<void> | void,
  failed: (error: AuthenticationError) => void,
): void {
  const { authenticator, credentials } = session.registry;
  let answer: Identity | Promise<Identity>;
  const refused = (reason: unknown) => {
    assert(reason instanceof AuthenticationError, "a credential is refused with an error of its own");
    failed(reason);
  };
  try {
    answer = credentials.check({ from: session.remoteAddress, entrance }, () => authenticator.authenticate(token));
  } catch (reason) {
    return refused(reason);
  }
  if (!(answer instanceof Promise)) return hold(session, known(answer));
  const isOver = () => session.state === "closing";
  hold(
    session,
    answer.then(
      (identity) => (isOver() ? undefined : known(identity)),
      (reason: unknown) => (isOver() ? undefined : refused(reason)),
    ),
  );
}

/** What the client sends waits until something about it is known. */
function hold(session: Session, known: Promise<void> | void): void {
  if (known === undefined) return;
  session.hold();
  known.then(() => session.release()).catch((error: unknown) => session.broken(error));
}

/** Takes a new identity of the same subject in place of the old one. */
function adopt(
  session: Session,
  { ref, token }: { readonly ref: number; readonly token: string },
  identity: Identity,
  done: () => void,
): Promise<void> | void {
  const old = session.identity;
  const { hub, authenticator } = session.registry;
  if (identity.app !== old.app || identity.subject !== old.subject) return session.refused(ref, errors.otherSubject);
  const take = (taken: Identity) => {
    session.identity = taken;
    hub.regrant(session);
    done();
  };
  if (hub.connections.same(old, identity)) {
    hub.connections.changed(old, identity);
    return take(identity);
  }
  const answer = hub.connections.acquire(identity);
  if (answer === false) return session.end(disconnects.connectionLimit);
  if (answer === true) {
    hub.connections.release(old);
    return take(identity);
  }
  return answer.then(async (isAdmitted) => {
    if (!isAdmitted) return session.end(disconnects.connectionLimit);
    try {
      // Nobody knew yet that this session would go by it: what was revoked or edited meanwhile is to count.
      const now = await authenticator.authenticate(token);
      if (session.state === "closing") return hub.connections.release(identity);
      hub.connections.changed(identity, now);
      hub.connections.release(session.identity);
      take(now);
    } catch {
      hub.connections.release(identity);
      session.end(disconnects.revoked);
    }
  });
}

function welcome(session: Session, message: ConnectMessage): void {
  const { options } = session.registry;
  session.welcomed = true;
  session.client = session.identity.client ?? message.client ?? session.id;
  session.echo = message.echo ?? session.echo;
  session.pingSeconds = message.ping ?? session.pingSeconds;
  if (message.alias === true && session.lane === "msgpack") session.aliases ??= new Aliases(session.registry.hub);
  session.answered(message.ref, {
    version: wireVersion,
    session: session.id,
    server: options.server,
    client: session.client,
    ping: Math.min(session.pingSeconds, wireLimits.pingSecondsMax),
    reply: session.makeReplyPrefix(),
    payloadMax: options.payloadMaxBytes,
    alias: session.aliases === null ? undefined : true,
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
      session.speed.spend("subscribes");
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
  [errors.tooManyRequests.code]: disconnects.unavailable,
};

function refuse(session: Session, ref: number, { code, text, retryAfterMs }: AuthenticationError): void {
  session.refused(ref, code, text);
  session.end(farewells[code.code] ?? disconnects.unauthenticated, retryAfterMs);
}
