// The page without a pointer.
import assert from 'node:assert/strict';
import { decided, field, shown } from './browser.mjs';

export async function testKeyboard(t, { page, open }) {
  const focused = () =>
    page.evaluate(() => {
      const { activeElement: element } = document;
      return element.name
        ? `${element.name}${element.type === 'radio' ? `=${element.value}` : ''}`
        : element.id || element.localName;
    });
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await t.test('a preset is chosen and changed with the keyboard alone', async () => {
    await open();
    await press('Tab');
    assert.equal(await focused(), 'copy');
    await press('Tab');
    // All presets are one stop.
    assert.equal(await focused(), 'preset=Own record');
    await press('ArrowDown');
    assert.equal(await focused(), 'preset=Another owner');
    await decided(page, 'learning-owned-by-another');
    assert.match((await shown(page)).status, /^404/);
    await press('ArrowUp', 'ArrowUp');
    assert.equal(await focused(), 'preset=Record keeps changing');
    await decided(page, 'storage-unavailable');
    await press('Tab');
    assert.equal(await focused(), 'identity');
    await press('Tab', 'Tab');
    assert.equal(await focused(), 'subject');
    await page.keyboard.type('!');
    await decided(page, 'learning-owned-by-another');
    assert.equal(await page.locator('#preset-list :checked').count(), 0);
    await press('Tab', 'Tab', 'Tab', 'Space');
    assert.equal(await focused(), 'scopes-optional');
    await press('Tab', 'Space');
    assert.equal(await focused(), 'all-owners');
    await decided(page, 'storage-unavailable');
  });

  await t.test('every control can be reached, and shows that it has the focus', async () => {
    await open('legal-hold=yes&retention=yes&fault-find=internal');
    const reached = new Set();
    for (let count = 0; count < 120; count += 1) {
      await press('Tab');
      const name = await focused();
      if (name === 'body') break;
      reached.add(name.split('=')[0]);
      const isVisible = await page.evaluate(() => {
        const element = document.activeElement;
        const outlined = element.type === 'radio' ? element.closest('label') : element;
        const { outlineStyle, outlineWidth } = getComputedStyle(outlined);
        const { width, height } = outlined.getBoundingClientRect();
        return outlineStyle !== 'none' && outlineWidth !== '0px' && width > 0 && height > 0;
      });
      assert.ok(isVisible, `${name} has a visible focus`);
    }
    const names = await page.evaluate(() =>
      [...document.getElementById('situation').elements].map(({ name }) => name).filter(Boolean),
    );
    for (const name of [...names, 'copy', 'preset', 'decision', 'run-all'])
      assert.ok(reached.has(name), `${name} is reached`);
  });

  await t.test('a decision is announced once the typing stops', async () => {
    await open();
    await page.waitForFunction(() => document.getElementById('announcement').textContent);
    await field(page, 'subject').fill('bob');
    await decided(page, 'learning-owned-by-another');
    await page.waitForFunction(() => document.getElementById('announcement').textContent.startsWith('404'));
    assert.equal(
      await page.locator('#announcement').textContent(),
      '404 Not Found. Record not deleted. A record of another owner is not found.',
    );
  });
}
