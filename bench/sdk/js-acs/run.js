import { runFiles } from '../emulator.mjs';

process.exit(await runFiles(import.meta.dirname, [{ file: 'calls.test.js' }, { file: 'media.test.js' }]));
