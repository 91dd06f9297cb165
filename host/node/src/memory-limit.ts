// Limits the memories of a core WebAssembly module. JavaScript cannot limit the memory that a module defines for
// itself, so its maximum is written into the module.

const PAGE_BYTES = 65_536;
const MEMORY_SECTION = 5;

/** Returns the module with this maximum for each memory that it defines. Throws if one is larger from the beginning. */
export function limitMemory(module: Uint8Array, maxBytes: number): Uint8Array {
  const maxPages = Math.floor(maxBytes / PAGE_BYTES);
  const parts: Uint8Array[] = [module.subarray(0, 8)];
  const input = new Input(module, 8);
  while (!input.isAtEnd()) {
    const begin = input.offset;
    const id = input.byte();
    const size = input.integer();
    const end = input.offset + size;
    parts.push(id === MEMORY_SECTION ? memorySection(input, maxPages) : module.subarray(begin, end));
    input.offset = end;
  }
  return concat(parts);
}

function memorySection(input: Input, maxPages: number): Uint8Array {
  const count = input.integer();
  const content = [...integer(count)];
  for (let index = 0; index < count; index += 1) {
    const flags = input.byte();
    // Bit 0: there is a maximum. The other bits are for shared and 64-bit memories, which no component of the
    // contract has.
    if (flags > 1) throw new Error('the component has a shared or a 64-bit memory');
    const initial = input.integer();
    const max = flags === 1 ? Math.min(input.integer(), maxPages) : maxPages;
    if (initial > maxPages) {
      const bytes = `${initial * PAGE_BYTES} bytes of memory at the beginning`;
      throw new Error(`the component needs ${bytes}, which exceeds the maximum of ${maxPages * PAGE_BYTES}`);
    }
    content.push(1, ...integer(initial), ...integer(max));
  }
  return Uint8Array.from([MEMORY_SECTION, ...integer(content.length), ...content]);
}

class Input {
  constructor(
    private readonly bytes: Uint8Array,
    public offset: number,
  ) {}

  isAtEnd(): boolean {
    return this.offset >= this.bytes.length;
  }

  byte(): number {
    const byte = this.bytes[this.offset];
    if (byte === undefined) throw new Error('the component has a module that is cut off');
    this.offset += 1;
    return byte;
  }

  /** An unsigned integer in LEB128. */
  integer(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }
}

function integer(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...integer(Math.floor(value / 128))];
}

function concat(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
