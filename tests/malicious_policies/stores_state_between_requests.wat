;; Stores a mark in its memory, in memory that it grows, in a global and in a table. Traps if it finds one.
;; Expected: 204 for every request, because each has a fresh instance.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (global $called (mut i32) (i32.const 0))
    (table $table 8 funcref)
    (elem declare func $deleted)
    (func (export "delete-learning") (type $decide)
      (local $page i32)
      (if (i32.or (i32.load (i32.const 3000)) (global.get $called)) (then unreachable))
      (if (i32.eqz (ref.is_null (table.get $table (i32.const 3)))) (then unreachable))
      ;; Checks the 200 pages that it grows by too, because a pool of memories could reuse pages.
      (local.set $page (memory.grow (i32.const 200)))
      (loop $again
        (if (i64.ne (i64.load (i32.shl (local.get $page) (i32.const 16))) (i64.const 0)) (then unreachable))
        (i64.store (i32.shl (local.get $page) (i32.const 16)) (i64.const 0x1234567812345678))
        (local.set $page (i32.add (local.get $page) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $page) (memory.size))))
      (i32.store (i32.const 3000) (i32.const 1))
      (global.set $called (i32.const 1))
      (table.set $table (i32.const 3) (ref.func $deleted))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
