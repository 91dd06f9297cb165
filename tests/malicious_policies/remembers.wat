;; Keeps in its memory, behind it, in a global and in a table that it was called, and looks for that first. Must find
;; nothing, ever: every request is its first, and answered 204. (It traps if it finds anything.)
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
      ;; What it grows by is looked at too: 200 pages, of which a pool might keep some.
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
