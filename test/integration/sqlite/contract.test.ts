/** The SQLite broker keeps the contract of brokers, whatever a publish survives. */
import { brokerContract } from "../../contract/broker.ts";
import { sqliteOpener } from "../../harness/sqlite-broker.ts";

brokerContract("The SQLite broker", sqliteOpener());
brokerContract("The SQLite broker that does not wait for the disk", sqliteOpener({ durability: "normal" }));
