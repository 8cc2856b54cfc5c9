import { describe, expect, test } from "bun:test";
import { ownCommand, shellWord } from "../../../src/cli/own-command.ts";

describe("ownCommand()", () => {
  test("is the executable alone where it is compiled", () => {
    expect(ownCommand("/opt/tagcast", "/$bunfs/root/main.js")).toBe("/opt/tagcast");
    expect(ownCommand("/opt/my tools/tagcast", "/$bunfs/root/main.js")).toBe("'/opt/my tools/tagcast'");
  });

  test("is Bun and the whole path of the entry file else, so that it works in any directory", () => {
    expect(ownCommand("/usr/bin/bun", "/src/tagcast/src/main.ts")).toBe("bun /src/tagcast/src/main.ts");
    expect(ownCommand("/usr/bin/bun", "/src/tag cast/src/main.ts")).toBe("bun '/src/tag cast/src/main.ts'");
  });

  test("brings Bun along where npx did", () => {
    const execPath = "/home/a/.npm/_npx/1234/node_modules/bun/bin/bun.exe";
    expect(ownCommand(execPath, "/t/src/main.ts")).toBe(`npx -y bun@${Bun.version} /t/src/main.ts`);
  });

  test("of this very process runs again", () => {
    expect(ownCommand(process.execPath, Bun.main)).toEndWith(shellWord(Bun.main));
  });
});

describe("shellWord()", () => {
  test.each(["plain-word_1./:@", "two words", "it's", '$HOME `id` \\ "x"', "a\nb", "", "'", "*"])(
    "%j is one word of a shell, and the same text",
    async (text) => {
      const child = Bun.spawnSync(["sh", "-c", `printf '%s|' ${shellWord(text)}`]);
      expect(child.stdout.toString()).toBe(`${text}|`);
    },
  );
});
