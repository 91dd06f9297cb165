// The component of the legal hold in JavaScript. `host:config` becomes `wasi:config` in build.js.
import { get } from 'host:config/store@0.2.0-rc.1';
import * as inner from 'learnings:plugin/storage@0.1.0';
import { createLegalHold } from './legal-hold.js';

export const storage = createLegalHold(inner, get);
