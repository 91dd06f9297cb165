;; A guard as a guard should be: it retains a record whose metadata contains `"legal_hold": true`.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    (data (i32.const 3072) "\"legal_hold\": true")
    ;; Whether two byte sequences of this length are equal.
    (func $equal (param $a i32) (param $b i32) (param $bytes i32) (result i32)
      (loop $next
        (if (i32.eqz (local.get $bytes)) (then (return (i32.const 1))))
        (local.set $bytes (i32.sub (local.get $bytes) (i32.const 1)))
        (br_if $next (i32.eq
          (i32.load8_u (i32.add (local.get $a) (local.get $bytes)))
          (i32.load8_u (i32.add (local.get $b) (local.get $bytes))))))
      (i32.const 0))
    ;; Whether the metadata of the found record contain the text.
    (func $is-held (result i32)
      (local $at i32) (local $left i32)
      (if (i32.eqz (i32.load8_u (i32.const 128))) (then (return (i32.const 0))))
      (local.set $at (i32.load (i32.const 132)))
      (local.set $left (i32.load (i32.const 136)))
      (loop $next
        (if (i32.lt_u (local.get $left) (i32.const 18)) (then (return (i32.const 0))))
        (if (call $equal (local.get $at) (i32.const 3072) (i32.const 18)) (then (return (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next))
      unreachable)
    ;; Deletes the record: without a condition (0), if this is its owner (1), or if this is its revision (2).
    (func $guarded (param $condition i32) (param $text i32) (param $bytes i32) (result i32)
      (local $attempts i32)
      (loop $again
        (call $find (i32.const 0))
        (if (i32.load8_u (i32.const 0))
          (then
            ;; The error of `find`, in the layout of an error of a delete.
            (drop (call $error (i32.load8_u (i32.const 8))))
            (i32.store (i32.const 1032) (i32.load (i32.const 12)))
            (i32.store (i32.const 1036) (i32.load (i32.const 16)))
            (return (i32.const 1024))))
        (if (i32.eqz (i32.load8_u (i32.const 8))) (then (return (call $outcome (i32.const 0)))))
        (if (i32.eq (local.get $condition) (i32.const 1))
          (then
            (if (i32.eqz (i32.load8_u (i32.const 36))) (then (return (call $outcome (i32.const 1)))))
            (if (i32.ne (i32.load (i32.const 44)) (local.get $bytes)) (then (return (call $outcome (i32.const 2)))))
            (if (i32.eqz (call $equal (i32.load (i32.const 40)) (local.get $text) (local.get $bytes)))
              (then (return (call $outcome (i32.const 2)))))))
        (if (i32.eq (local.get $condition) (i32.const 2))
          (then
            (if (i32.ne (i32.load (i32.const 172)) (local.get $bytes)) (then (return (call $outcome (i32.const 3)))))
            (if (i32.eqz (call $equal (i32.load (i32.const 168)) (local.get $text) (local.get $bytes)))
              (then (return (call $outcome (i32.const 3)))))))
        (if (call $is-held) (then (return (call $error (i32.const 6)))))
        (call $delete-if-unchanged (i32.load (i32.const 168)) (i32.load (i32.const 172)) (i32.const 512))
        ;; Any result but `changed` is the answer.
        (if (i32.load8_u (i32.const 512)) (then (return (i32.const 512))))
        (if (i32.ne (i32.load8_u (i32.const 516)) (i32.const 3)) (then (return (i32.const 512))))
        (local.set $attempts (i32.add (local.get $attempts) (i32.const 1)))
        (br_if $again (i32.le_u (local.get $attempts) (i32.const 3))))
      (call $error (i32.const 7)))
    (func (export "delete") (result i32) (call $guarded (i32.const 0) (i32.const 0) (i32.const 0)))
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (call $guarded (i32.const 1) (local.get 0) (local.get 1)))
    (func (export "delete-if-unchanged") (param i32 i32) (result i32)
      (call $guarded (i32.const 2) (local.get 0) (local.get 1)))
  )
  ;; include guard-export
)
