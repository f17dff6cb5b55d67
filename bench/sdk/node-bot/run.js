import { runFiles } from '../emulator.mjs';

process.exit(await runFiles(import.meta.dirname, [{ file: 'bot.test.js', insecure: true }]));
