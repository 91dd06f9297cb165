    ;; Parameters: pointer and length of the learning id; discriminant, pointer and length of the db-id; discriminant,
    ;; pointer and length of the table. Result: a pointer to the answer.
    (type $decide (func (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "host" "memory" (memory $memory 1))
    (import "host" "current" (func $current (param i32)))
    (import "host" "locate" (func $locate (param i32)))
    (import "host" "delete" (func $delete (param i32)))
    (import "host" "delete-if-owned-by" (func $delete-if-owned-by (param i32 i32 i32)))
    ;; Memory layout: results of the host at 0, the answer of the policy at 1024, strings of seven bytes each from 2048.
    (data (i32.const 2048) "Not now")
    (data (i32.const 2056) "blocked")
    ;; Writes the answer that the record is deleted.
    (func $deleted (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.const 1024))
    ;; Writes the answer that it is rejected, in the layout of `rejection`.
    (func $rejected (param $status i32) (param $code i32) (param $detail i32) (param $detail-bytes i32)
      (param $rule i32) (param $rule-bytes i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.store16 (i32.const 1028) (local.get $status))
      (i32.store8 (i32.const 1030) (local.get $code))
      (i32.store (i32.const 1032) (local.get $detail))
      (i32.store (i32.const 1036) (local.get $detail-bytes))
      (i32.store (i32.const 1040) (local.get $rule))
      (i32.store (i32.const 1044) (local.get $rule-bytes))
      (i32.const 1024))
