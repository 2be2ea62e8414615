import{a,b,c}from"./chunk-CGN6MWE6.js";import"./chunk-5AZWODRF.js";export{b as Place,a as default,c as save};
