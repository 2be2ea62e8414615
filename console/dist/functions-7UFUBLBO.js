import{a,b}from"./chunk-5WYSX6Q4.js";import"./chunk-R5GA6OUZ.js";import"./chunk-GQUTEGQL.js";import"./chunk-IV4S5ZF6.js";export{b as Logs,a as default};
